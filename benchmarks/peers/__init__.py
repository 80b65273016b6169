"""Published cold-start models, kept to the product's `Ranker` contract to be compared with it.

They read the same content, histories and shots as the Siamese scorer. The product imports none
of them. Libraries where well-kept ones exist (LightFM, implicit, LightGBM), the papers' methods
in a few lines of torch where not.
"""
