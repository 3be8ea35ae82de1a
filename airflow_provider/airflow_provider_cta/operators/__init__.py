"""Operators: move files and folders."""
