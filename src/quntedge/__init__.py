"""QuntEdge Payments: subscription payments, access control and revenue reporting for software sold through Whop."""
