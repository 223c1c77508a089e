"""etcd's own protocol: `EtcdStore`, a client of a real cluster, and `serve_etcd`, which makes any store one.

Imported through `orchestra.store` only; gRPC is imported when one of the two is first used.
"""
