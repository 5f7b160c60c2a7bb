"""The administrator's hand: one click command a noun, tables and JSON on the way out."""
