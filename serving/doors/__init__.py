"""The routes, a module or a package for each subject."""
