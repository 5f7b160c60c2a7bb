"""How is the house kept in order? One verb, two doors: `mailctl` and (later) the administration page call these."""
