"""Generated code of `proto/cri`."""
