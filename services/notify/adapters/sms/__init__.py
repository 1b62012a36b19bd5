"""Text messages: two public providers and the company's own gateway behind one port."""
