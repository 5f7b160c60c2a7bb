"""EmailSubmission/*, Identity/* and VacationResponse/* (RFC 8621 §6–8): what goes out, as whom, and what answers."""
