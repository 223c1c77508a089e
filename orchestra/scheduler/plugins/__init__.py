"""The built-in plugins, with the semantics of Kubernetes 1.36.

In: a Pod and the node table. Out: which nodes are refused and why, and scores. Pure: no plugin here waits or does I/O
except `DefaultBinder`, which asks the client it is given. Only `orchestra.scheduler` imports it.
"""
