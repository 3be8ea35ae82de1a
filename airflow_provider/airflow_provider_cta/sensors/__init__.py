"""Sensors: wait for files and folders."""
