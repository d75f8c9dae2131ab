"""Which kind of inlet an integration with `payload_mode: "auto"` has, and what is sent by that.

`answer` is what is kept of it, `known` what is in force, `asking` finds it out beside delivery,
`routes` and `sender` are what the pipeline sees of it, and `trial` sends one message in the other
form.
"""
