"""Generated code of `proto/orchestra/v1`."""
