/// What to tell the user about an error: the message of our own errors, the description of others.
func describe(_ error: any Error) -> String {
    "\(error)"
}
