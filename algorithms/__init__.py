"""Algorithms: the plug-in protocol, the registry, calibrators and reconstructors."""
