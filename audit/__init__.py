"""What is checked of the project as a whole, beside its code."""
