"""What generates audio, as a library; knows no HTTP and no Cog.

The shape alphabet of every comment and docstring below this directory:
`B` batch · `R` rows of a decoder step (2 per request under guidance) · `S` text positions · `T` frames ·
`K` codebooks · `V` codebook vocabulary · `D` width · `H` heads · `C` audio channels · `L` samples
"""

import os

from models.decoding.threads import spin_briefly

# Both have to be said before torch and onnxruntime are loaded; these are the first lines of ours that any program runs.
spin_briefly()
# From 1.31 on onnxruntime tells its maker of the machine and of each network that it runs, unless it is forbidden to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
