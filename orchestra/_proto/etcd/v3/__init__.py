"""Generated code of `proto/etcd/v3`."""
