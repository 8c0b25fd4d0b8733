"""The pages that Whop hosts for buyers: checkout, portal, invoices, receipts."""
