"""How the built-in checkpoint was made: text, teachers, codec, language model, export. See training/README.md."""
