"""Index lists and pixels on tensors, on any device: the twins of `sits_data.orders` and `planar`."""
