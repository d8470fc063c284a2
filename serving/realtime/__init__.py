"""Door 5: OpenAI's Realtime socket. Audio is appended, cut into turns, committed, transcribed, and answered in speech.

g711, audio_formats             bytes of the wire ↔ 16-bit samples
buffer                          what has been appended and not committed, on an absolute sample clock
fields, faults                  mistakes in OpenAI's words
settings, items, client_events  what clients send
server_events                   what they are sent
beta                            the same in the older dialect
"""
