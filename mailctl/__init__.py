"""The administrator's hand: one click command a noun, tables and JSON on the way out."""

__version__ = "0.1.0"
