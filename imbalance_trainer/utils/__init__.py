"""Errors, atomic writes, text helpers and constants that every room uses."""
