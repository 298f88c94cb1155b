"""What makes a row good or bad: rules as Spark columns (`rules`), refused rows (`quarantine`), asset checks (`checks`)."""
