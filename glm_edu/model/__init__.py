"""The network. Read the files in this order, one idea a file:

tap, activations, norms, rotary, positions, masks, cache, attention, feedforward, residual, block, prefix,
transformer.
"""
