"""Engines train the trials; every engine keeps the contract of `nas.engines.lanes`."""
