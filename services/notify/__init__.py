"""Notify: who is told what by which channel, the proof of it, and the conversation with the customer."""
