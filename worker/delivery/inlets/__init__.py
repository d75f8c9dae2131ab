"""Which kind of inlet an integration with `payload_mode: "auto"` has, and what is sent by that.

`inlet_answer` is what is kept of it, `known_inlets` what is in force, `inlet_questions` finds it
out beside delivery, `mode_in_force` and `listening_sender` are what the pipeline sees of it, and
`refused_form` sends one message in the other form.
"""
