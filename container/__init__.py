"""The Cog side of the house: the schema Cog would generate, its server on this machine, and the locks of its image.

Knows Cog and pip; knows no model, no audio and nothing of models/ or serving/. predict.py is read here, never imported.
"""
