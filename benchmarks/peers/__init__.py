"""fastconv and its peers on the same work, each in a process of its own, taking turns.

    python -m benchmarks.peers                      # LeNet-5, what a call costs, convolutions of VGG and ResNet
    python -m benchmarks.peers conv --threads 1     # one group; see --help

How it is measured
------------------
* A *contender* is a library in a worker process that imports nothing but NumPy and that library, told over a pipe what
  to prepare and when to time it. A contender may have several *variants* (PyTorch's memory layouts): each is timed,
  the best counts.
* All get the same seeded inputs, in the memory layout they would have inside a network of that variant. Results are
  compared with fastconv's before anything is timed; a difference ends the run.
* A case is a number of rounds. In a round every variant in turn warms up and runs a short timed batch while all
  others sleep, in an order that rotates. Before a worker hands over it waits until its process burns no more time:
  OpenMP's threads go on spinning after a parallel region. So every library runs with the settings that suit it.
* The table shows medians over rounds of the turns' medians, and ratios of these; JSON has the minima too.
* Weights are parameters, so that packing them is cached where a library does that; outputs are new at each call.
* `forward` runs without a tape (`no_grad`, `inference_mode`), `tape` records. `backward` is the function that the
  recorded result carries and the tape would call (fastconv's `node.backward`, PyTorch's `grad_fn`), called again and
  again on the record of one forward: every gradient it makes is new, no forward and no accumulation is in it. (Where
  PyTorch records a chain of functions, as for linear, it is the walk over them, `torch.autograd.grad`.)
  `both` is a taped forward and its backward together, for a loss, whose gradient fastconv computes on the way.
  `step` is forward, loss, backward and the optimiser's update. `update` is that alone, with gradients that stay.
* A network comes to PyTorch as what our graph of it says: torch.fx writes a module that makes the same calls, with
  activations and sums in place as torchvision has them. Weights follow from their names. Scores are compared, and of a
  training step the loss after it as well. Dropout is left out. `--only "resnet50, step"` picks what fits a minute.
* `--memory` measures how much memory a training step takes at most, weights, gradients and the optimiser's state
  included, each variant in a process of its own: what is resident at the peak of a third step (Linux forgets the peak
  before it) beyond what was before the network was made. The variant with the least counts.
* `--plot FILE` draws the ratios of all cases by their kind, a point each, with the kinds' geometric means.
* The FMA peak is timed in fastconv's worker in every round, on as many threads; the best of the run counts. A layer's
  share is what its products and sums, counted as direct convolution, need of that.
"""
