"""Encoders that learn the shop's domain, and are saved as folders `load_encoder` takes.

`examples` says from what is learned, `blocks`, `feature_maps` and `lora` what of an encoder is
free, `contrast`, `alignment` and `objectives` what for, `learning` how long, `judging` what came of
it and at what price, and `adapted` puts it together.
"""
