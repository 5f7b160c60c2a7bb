"""What we measure, runnable with one command. Speed belongs here, not into the tests."""
