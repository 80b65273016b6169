"""Few-shot learners behind one interface: what a listing's first customers change about it."""
