"""Generated code of `proto/etcd`."""
