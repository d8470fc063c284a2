"""The decoder and the encoder of EnCodec: which layers follow each other. Knows of pieces only that a Tape joins them.

Source: arXiv:2210.13438 section 3.1; order of layers, names and padding are those of transformers' EncodecModel and of
audiocraft modules/seanet.py, in both of which activations count as layers.
"""

from models.codecs.encodec_builder import Builder
from models.codecs.stream_layers import Layer, Network


def build_decoder(build: Builder) -> Network:
    """Latents [B, T, D] → samples [B, hop·T, 1]."""
    config = build.config
    width = config.widest
    layers: list[Layer] = [build.first_convolution("decoder.layers.0", width, config.latent_width)]
    if config.lstm_layers:
        layers.append(build.lstm("decoder.layers.1", width))
    place = len(layers) + 1  # of the next convolution: an ELU is in front of it
    for stride in config.strides:
        width //= 2
        layers.append(build.upsample(f"decoder.layers.{place}", width, 2 * width, stride))
        for i, dilation in enumerate(config.dilations):
            layers.append(build.residual_unit(f"decoder.layers.{place + 1 + i}", width, dilation))
        place += config.residual_layers + 2
    layers.append(build.stream_convolution(f"decoder.layers.{place}", 1, width, config.last_kernel))
    return Network(layers)


def build_encoder(build: Builder) -> Network:
    """Samples [B, L, 1] → latents [B, ⌈L / hop⌉, D]."""
    config = build.config
    width = config.filters
    layers: list[Layer] = [build.first_convolution("encoder.layers.0", width, 1)]
    place = 1  # of the next layer
    for stride in reversed(config.strides):
        for i, dilation in enumerate(config.dilations):
            layers.append(build.residual_unit(f"encoder.layers.{place + i}", width, dilation))
        place += config.residual_layers + 1
        layers.append(build.stream_convolution(f"encoder.layers.{place}", 2 * width, width, 2 * stride, stride=stride))
        width, place = 2 * width, place + 1
    if config.lstm_layers:
        layers.append(build.lstm(f"encoder.layers.{place}", width))
        place += 1
    layers.append(
        build.stream_convolution(f"encoder.layers.{place + 1}", config.latent_width, width, config.last_kernel)
    )
    return Network(layers)
