"""What runs behind predict.py, the file that Cog reads as text: the predictions of both containers. Knows Cog."""
