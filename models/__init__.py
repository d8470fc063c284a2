"""What generates audio, as a library; knows no HTTP and no Cog.

The shape alphabet of every comment and docstring below this directory:
`B` batch · `R` rows of a decoder step (2 per request under guidance) · `S` text positions · `T` frames ·
`K` codebooks · `V` codebook vocabulary · `D` width · `H` heads · `C` audio channels · `L` samples
"""

from models.decoding.threads import spin_briefly

# It has to be said before torch is loaded, and this is the first line of ours that any program runs.
spin_briefly()
