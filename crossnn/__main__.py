"""`python -m crossnn`: the command line without the installed script."""

from crossnn.cli import main

if __name__ == "__main__":
    main(prog_name="crossnn")
