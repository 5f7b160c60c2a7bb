"""`python -m mailctl`: the same as the installed command."""

from mailctl.main import main

if __name__ == "__main__":
    main()
