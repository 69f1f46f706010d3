"""Convolution and correlation of signals, with scipy.signal's arguments and results, on NumPy arrays without a tape."""

from fastconv.signal.convolution import convolve, convolve2d, correlate, correlate2d

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d"]
