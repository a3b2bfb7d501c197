"""Offers, answers and candidates."""
