"""The service over HTTP: what a request costs with an engine that does nothing; how soon and how fast audio comes.

    python -m benchmarks.serve
    python -m benchmarks.serve --no-engine
    python -m benchmarks.serve --no-http --model dia-builtin --callers 1 4 16

Everything runs on this machine, the callers too: one process of Python, which takes its share of the processor.
"""
