"""Analyses of encoders: context, results, comparisons."""

# In the order of their output; here, since `mimbench analyze --help` imports no PyTorch.
NAMES = ("cka", "rank", "attention", "gradients", "reconstructions")
