"""Training of the codec: what its codes say, the vocoder that speaks them, the encoder that hears them."""
