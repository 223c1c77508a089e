"""Generated protobuf messages and gRPC stubs; see `proto/generate.py`."""
