"""A fuzzer for the loader: see ``__main__.py``."""
