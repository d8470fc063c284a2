"""Door 5: OpenAI's Realtime socket. Audio is appended, cut into turns, committed, transcribed, and answered in speech.

The way of an event:

    socket (opening, outbox)                            the route: who opens it, frames in, frames out
    client_secrets                                      keys for browsers, which open a socket and nothing else
    client_events (items, settings, fields, faults)     JSON → a frozen event, or a mistake in OpenAI's words
    beta                                                the older dialect: other names for the same things
    session                                             a state machine: events in, events out, no socket
      ear                                                 the listening side
        buffer (audio_formats, g711)                        what is not committed yet, on an absolute sample clock
        turns                                               where somebody speaks
      conversation                                        items, what they say and sound like
      transcribing                                        what is said in them
      speaking                                            the speaking side
        script                                              which words, in whose voice
        response                                            what is told of one response, in which order
    server_events                                       what the client is told

A session leaves to `workers` what takes long: `local_workers` are the models of this process, its engine (`speech`)
among them; those of a test do it when they are told to.
"""
