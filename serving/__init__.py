"""Hosting around the model: doors 2 to 5 and a page, one durable queue, files that expire.

The way of a prediction:

    HTTP request
      web.middleware                                  timed (web.metrics), given an id, bounded in bytes
      web.app: one router of doors/ answers
      web.json_bodies, web.form_fields                not too many values; no field of a form that is not declared
      web.gate (access, rate_limit)                   token → owner's name, or 401 / 403 / 429
    a door turns its own words into one Submission
      doors/predictions                     door 2    Replicate's JSON
      doors/tasks                           door 3    {"prompt", "configs"}
      doors/speech                          door 4    OpenAI's JSON
    intake.accept                                     Submission → Prediction
      catalog, models.inputs                          inputs checked without their files
      storage.uploads → storage.files → .store        data: URIs and our own links → "file:ID"
      storage.records → storage.database              a row, status "starting": from here on it is kept
      work.queue                                      a DBOS workflow with the prediction's id
    prediction_json | doors/tasks/task_json           Prediction → the door's JSON, files as signed links

    worker: work.worker (holds a lease) → work.workflows → work.places → work.runner
      storage.records.begin                           "processing", attempt + 1
      fetch (public_http, addresses) | storage.files  file inputs → paths of this machine
      work.backend | work.music_backend | cog.backend inputs → one file, and a Listener's calls:
        storage.records.report                          progress 0-1, seconds of audio, logs
        storage.live.append                             16-bit mono PCM, in pieces
        work.notifier → work.queue                      webhooks "start", "logs"
      storage.files, storage.records.finish           file and end in one transaction
      work.notifier → work.queue → work.webhooks      "output", "completed"; its end at least once

    a socket (door 5): realtime, which speaks with the engine of this process, beside the queue; without one through it

    whoever looks back: storage.history               pages of one's own, places in the queue

    whoever waits or listens: storage.changes wakes them
      doors/predictions/routes                        Prefer: wait
      doors/predictions/events, doors/speech/events   server-sent events
      listeners                                       a place for each, threads of their own for what is encoded
      storage.live → audio_stream → rendering         PCM → bytes of any format, while it is made
      storage.files → kept_audio (sound)              the kept file, or another format of it, once it is over
      web.file_answer                                 a kept file, or a range of its bytes
      web.hangup                                      what ends when a listener leaves; answers that break off

    work.janitor, a thread for each chore
      in every process                                deadlines; work.sweep: ends are counted (storage.tallies), what
                                                      has expired is forgotten (storage.retention)
      of a worker                                     cancelled work; work.rescue: what was lost with a process

Put together by service, started by processes, configured by settings. Errors: models/errors.py → web.problems, in the
form of the door whose path was asked. State lies in storage/ alone, in SQLite or PostgreSQL and a folder or a bucket:
a process has none that may be lost.
"""
