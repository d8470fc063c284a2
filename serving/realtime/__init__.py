"""Door 5: OpenAI's Realtime socket. Audio is appended, cut into turns, committed, transcribed, and answered in speech.

The way of an event:

    socket (opening, inbox, outbox)                     the route: who opens it, frames in, frames out
    client_secrets                                      keys for browsers, which open a socket and nothing else
    client_events (items, settings, fields, faults)     JSON → a frozen event, or a mistake in OpenAI's words
    beta                                                the older dialect: other names for the same things
    session (fair_lock)                                 a state machine: events in, events out, no socket
      ear                                                 the listening side
        buffer (audio_formats, g711)                        what is not committed yet, on an absolute sample clock
        turns                                               where somebody speaks
      conversation (ledger)                               items, what they say and sound like
      transcribing                                        what is said in them
      speaking                                            the speaking side: which responses there are
        answering                                           what one says, known beforehand or written meanwhile
          script                                              which words, in whose voice
          chat_messages (reply)                               items as a language model reads them
          passages                                            what is written, as soon as it can be spoken
          voicing                                             passages in one voice
        response (outputs)                                  what is told of one, in which order
    server_events                                       what the client is told

A session leaves to `workers` what takes long: `local_workers` are the models of this process, its engine (`speech`,
drawn_voice) among them, or else the queue (`queued_speech`), and the language model of a `chat` server (chat_stream),
if there is one; those of a test do it when they are told to.
"""
