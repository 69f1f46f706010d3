"""Speed: `pytest benchmarks/` against the NumPy twins, `python -m benchmarks.peers` against other libraries."""
