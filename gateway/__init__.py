"""The only place where a bank call and a row change meet. A request and recovery climb the same stairs: begin, drive, finish."""
