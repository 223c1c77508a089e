"""Generated code of `proto/orchestra`."""
